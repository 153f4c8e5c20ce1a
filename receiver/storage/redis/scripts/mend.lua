-- Has what one command failed on out of the way, so that it can be sent again. Runs behind mending.lua.
--
-- ARGV: the command's name, its key, and what follows in it
mend(ARGV[1], ARGV[2], ARGV[3])
