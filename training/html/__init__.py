"""Reports that are one file each: a page that needs nothing else, neither a network nor a script."""
