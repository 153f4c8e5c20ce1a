-- Marks a store that has no mark, and writes down that another one is lost, which somebody remembers.
--
-- ARGV: the mark for a store without one; the mark that is remembered, or ''; the loss of that one, as JSON
-- Returns the mark of the store, what the sweeper found last, and 1 when the loss was not written down yet.

local mark = redis.call('GET', 'fd:mark')
if not mark then
    mark = ARGV[1]
    redis.call('SET', 'fd:mark', mark)
end
local is_new = 0
if ARGV[2] ~= '' and ARGV[2] ~= mark then is_new = redis.call('HSETNX', 'fd:losses', ARGV[2], ARGV[3]) end
return {mark, redis.call('GET', 'fd:audit') or '', is_new}
