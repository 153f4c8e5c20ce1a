-- Finds out whether the store has lost data, and writes the loss down.
--
-- The store holds a random mark and the time of the last check. Processes remember both, also on their disks. If the
-- store has another mark than a process remembers, all its data is lost; if its last check is more than a minute older
-- than the one that the process remembers, what was written between the two is lost.
--
-- ARGV: a mark for a store that has none; the mark that the process remembers ('' for none); Unix ms of the last check
-- that
--   it remembers; the loss as JSON, to be written down if there is one
-- Returns the mark of the store ('' when it takes no writes), Unix ms of its last check, the last result of maintenance
-- as JSON, and 1 when a loss was written down that was not known yet (else 0). A store that takes no writes is no
-- error.

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
-- The time never goes back: the clock of a replica that takes over may be behind.
local latest = string.format('%.0f', math.max(looked, now))
-- Return what the store holds, not what it should: a process that remembered more would take that for a loss.
looked = redis.pcall('SET', 'fd:mark:looked', latest).ok and latest or string.format('%.0f', looked)
return {mark, looked, redis.call('GET', 'fd:audit') or '', is_new and 1 or 0}
