"""The layer editor: what the panel's edits mean for a stack. The panel itself is in web/editor."""
