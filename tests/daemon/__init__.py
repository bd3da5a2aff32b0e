"""The shell: worker, compass, founding, restoring, the command."""
