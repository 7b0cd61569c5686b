"""The commands, one file each: its arguments, one library call, a short result. `pianogen.cli` registers them."""
