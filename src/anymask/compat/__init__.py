"""Other packages' names over anymask, for code that was written for them."""

from anymask.compat.drop_in import InstallError, install, uninstall

__all__ = ["InstallError", "install", "uninstall"]
