-- Marks a store that has no mark, notes that it was looked at, and writes down what it has lost, as somebody knows.
--
-- ARGV: the mark for a store without one; the mark that is remembered, or ''; when the store was looked at last, as is
-- remembered; the loss of it, as JSON
-- Another mark: all is lost. A last look that is a minute older than the one that is remembered: what came between is.
-- Returns the mark of the store ('': it takes no writes), when it was looked at last, the last result of maintenance, and 1
-- when the loss was not written down yet. A store that takes no writes, because it is full, is no error here.

local LAST = 253402300799999  -- the end of the year 9999: whatever comes later is no time
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mark = redis.call('GET', 'fd:mark')
if not mark then mark = redis.pcall('SET', 'fd:mark', ARGV[1]).ok and ARGV[1] or '' end
local looked = tonumber(redis.call('GET', 'fd:mark:looked') or '')
if not looked or looked > LAST then looked = now end
local lost
if ARGV[2] ~= '' and mark ~= '' then
    if ARGV[2] ~= mark then
        lost = ARGV[2]
    elseif looked + 60000 < tonumber(ARGV[3]) then
        lost = string.format('%s<%.0f', mark, looked)
    end
end
local is_new = lost and redis.pcall('HSETNX', 'fd:losses', lost, ARGV[4]) == 1
-- Never back: the clock of a replica that takes over may be behind.
local latest = string.format('%.0f', math.max(looked, now))
-- What could not be noted is not remembered either, or the store would seem to have lost it.
looked = redis.pcall('SET', 'fd:mark:looked', latest).ok and latest or string.format('%.0f', looked)
return {mark, looked, redis.call('GET', 'fd:audit') or '', is_new and 1 or 0}
