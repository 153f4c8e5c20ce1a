-- Moves the key away that a single command failed on, so that the command can be sent again. It runs behind
-- mending.lua, which defines `mend`.
--
-- ARGV: the command's name, its key, its next argument
-- Returns nothing.
mend(ARGV[1], ARGV[2], ARGV[3])
