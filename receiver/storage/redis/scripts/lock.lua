-- Take, keep or give back a lock. KEYS: 1 the lock, 2 its fence counter.
-- ARGV: 1 "take", "keep" or "free"; 2 who; 3 milliseconds; 4 the fencing token (for keep and free).
-- take: returns {token, ""} or {0, holder}. keep, free: {1, ""} when it was still ours, else {0, holder or ""}.
local held = redis.call('HMGET', KEYS[1], 'token', 'who')
if ARGV[1] == 'take' then
  if held[1] then return {0, held[2]} end
  local token = redis.pcall('INCR', KEYS[2])
  if type(token) == 'table' then  -- a counter that is no number: go on from one that is above any that was given out
    token = tonumber(redis.call('TIME')[1])
    redis.call('SET', KEYS[2], token)
  end
  redis.call('HSET', KEYS[1], 'token', token, 'who', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {token, ''}
end
if held[1] ~= ARGV[4] then return {0, held[2] or ''} end
if ARGV[1] == 'keep' then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('DEL', KEYS[1])
end
return {1, ''}
