"""automl-phys: declarative AutoML for physicists. Importing it imports nothing heavy."""

__version__ = "0.1.0"
