"""Files that hold models: finding, recognising, reading and converting them. Nothing here runs a model."""
