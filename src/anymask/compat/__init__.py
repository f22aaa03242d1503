"""Other packages' names over anymask, for code that was written for them."""
