"""Succeeds if this interpreter has a library that a program can embed it by."""

import pathlib
import sys
import sysconfig

folders = [sysconfig.get_config_var(name) for name in ("LIBDIR", "LIBPL")]
names = [sysconfig.get_config_var(name) for name in ("LDLIBRARY", "LIBRARY")]
multiarch = sysconfig.get_config_var("MULTIARCH") or ""
found = any(
    (pathlib.Path(folder) / part / name).is_file()
    for folder in folders
    for name in names
    for part in ("", multiarch)
    if folder and name
)
sys.exit(not found)
