-- include: time
-- Begins or renews the leases of workers. While its lease runs, nobody takes the deliveries that a worker holds. When
-- it is over and they were given to others (recover.lua), it cannot be renewed: so a worker that was frozen learns of
-- its loss.
--
-- ARGV: 'begin' or 'renew', lease in ms, then workers
-- Returns the workers whose lease could not be renewed.

local gone = {}
for i = 3, #ARGV do
    if ARGV[1] == 'begin' or redis.call('ZSCORE', 'fd:workers', ARGV[i]) then
        redis.call('ZADD', 'fd:workers', now_ms + tonumber(ARGV[2]), ARGV[i])
    else
        gone[#gone + 1] = ARGV[i]
    end
end
return gone
