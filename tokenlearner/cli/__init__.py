"""The command line: `tokenlearner VERB`, one file per verb."""
