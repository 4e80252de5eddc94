"""One module a group of cases; each has `run(lab)`, which yields its samples."""
