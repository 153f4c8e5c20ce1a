-- include: lists
-- Writes what a look at all failures found, unless somebody else has written since this one began.
--
-- ARGV: what `~` held when it began ('' for nothing), what it holds now, 'all' when everything else is written anew or 'same',
--   how many acts end with their groups, their ids, then id and group in turn
-- Returns 1, or 0 when nothing was written.

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
