-- include: jobs, time
-- Pauses a route, or resumes it.
--
-- ARGV: 'pause' or 'resume', route, who does it
-- Returns 1; 0 when the route was paused (or not paused) already.

local verb, route, who = ARGV[1], ARGV[2], ARGV[3]
if verb == 'pause' then
    if redis.call('HEXISTS', 'fd:paused', route) == 1 then return 0 end
    redis.call('HSET', 'fd:paused', route, cjson.encode({at = now_ms, who = who}))
    redis.call('ZADD', 'fd:gates', '+inf', route)
    return 1
end
if redis.call('HDEL', 'fd:paused', route) == 0 then return 0 end
-- If the target of the route is down, the deliveries that the pause held wait for it from now on, and one probes it at
-- once.
redis.call('HSET', 'fd:g:' .. route, 'resumed', now_ms)
if redis.call('HEXISTS', 'fd:g:' .. route, 'next') == 1 then redis.call('HSET', 'fd:g:' .. route, 'next', now_ms) end
redis.call('ZADD', 'fd:gates', now_ms, route)
for _, queue in ipairs(redis.call('SMEMBERS', 'fd:queues')) do wake(queue) end
return 1
