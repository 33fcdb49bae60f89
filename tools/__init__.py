"""Set-up, start and stop of a stack. Standard library only: these run before anything is installed."""
