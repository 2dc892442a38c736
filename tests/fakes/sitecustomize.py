"""On the path of a test's subprocesses: they know the fakes as well."""

import fakes

fakes.install()
