-- Lists of ids.

-- The prefix of every list; `storage/redis/keys.py` explains their names.
local INDEX = 'fd:i:'

-- Not an id. expire_page.lua writes it over the ids that it takes out, and removes it in the same call. Release 0.2.0
-- marked with it how far it had moved the ids of a list to its end.
local TURNING_MARK = '-'
