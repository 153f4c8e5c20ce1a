-- Lists of ids.

-- In front of the name of each list; `storage/redis/keys.py` has the names.
local INDEX = 'fd:i:'

-- In a list of ids, what stands in the place of one that is being taken out (expire_page.lua), and where release 0.2.0 began to turn
-- the list round. No reader of this release sees the former.
local TURNING_MARK = '-'
