"""scale_eval."""
