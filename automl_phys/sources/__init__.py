"""One file, one word that a user writes; listed by :mod:`automl_phys.registry`."""
