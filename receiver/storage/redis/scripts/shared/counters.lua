-- Counters of events and deliveries, by hour.

-- `count` only adds up; `write_counts`, the last step of a script that counts, writes each counter once. An hour whose
-- counters change is no longer sealed (seal_hour.lua).
local sums = {}

local function count(hour, what, by)
    local of_hour = sums[hour]
    if not of_hour then of_hour = {}; sums[hour] = of_hour end
    of_hour[what] = (of_hour[what] or 0) + (by or 1)
end

local function write_counts()
    for hour, of_hour in pairs(sums) do
        for what, by in pairs(of_hour) do
            -- A damaged counter begins again at this sum, and the audit finds the difference: an error would be worse
            -- here, because the script has written already.
            local sum = redis.pcall('HINCRBY', 'fd:c:' .. hour, what, by)
            if type(sum) == 'table' then redis.call('HSET', 'fd:c:' .. hour, what, by) end
        end
        redis.call('ZADD', 'fd:unsealed', hour, hour)
    end
end
