-- Takes, keeps or frees a lock, which expires by itself. Each holder gets a fencing token, a number above all earlier
-- ones.
--
-- KEYS: the lock, the counter of its fencing tokens
-- ARGV: 'take', 'keep' or 'free', who, ms until it expires, the fencing token (for 'keep' and 'free')
-- Returns for 'take' the token and '', or 0 and who holds the lock; for 'keep' and 'free' 1 and '' when the lock was
-- still the caller's, else 0 and who holds it ('' for nobody).

local held = redis.call('HMGET', KEYS[1], 'token', 'who')
if ARGV[1] == 'take' then
  if held[1] then return {0, held[2]} end
  local token = redis.pcall('INCR', KEYS[2])
  if type(token) == 'table' then  -- the counter is damaged: go on from the Unix second, which is above every token so far
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
