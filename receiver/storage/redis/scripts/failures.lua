-- include: lists
-- Writes the groups of failures that a scan found, unless another scan has written since this one began.
--
-- The field `~` of fd:failures holds what the last scan has to say of itself, as JSON. It also serves as the version.
--
-- ARGV: what `~` held when the scan began ('' for nothing), what it is to hold, 'all' to replace all groups or 'same'
-- to keep
--   those that are not named, the number of groups that ended and their ids (what people said of them is deleted), then for
--   each group: its id, the group as JSON
-- Returns 1; 0 when another scan was faster, and nothing was written.

if (redis.call('HGET', 'fd:failures', '~') or '') ~= ARGV[1] then return 0 end
local ended, groups = {}, {}
local first = 5 + tonumber(ARGV[4])
for at = 5, first - 1 do ended[#ended + 1] = ARGV[at] end
for at = first, #ARGV do groups[#groups + 1] = ARGV[at] end
if ARGV[3] == 'all' then redis.call('DEL', 'fd:failures') end
send('HSET', 'fd:failures', groups)
send('HDEL', 'fd:failures:acts', ended)
redis.call('HSET', 'fd:failures', '~', ARGV[2])
return 1
