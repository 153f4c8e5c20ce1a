-- include: time
-- Caches answers of Nexudus for a short while. Of callers with the same question one asks Nexudus, the others wait.
--
-- ARGV: the verb, then what it takes
--   take: name of the question, token of the caller, ms that fetching may take, Unix ms before which the answer must not have
--     been fetched (0: any). Returns {'kept', answer}; {'fetch', generation, now} when this caller is to fetch the answer;
--     {'wait'} while another one does
--   put: name, token, generation and now from the take, ms to keep the answer, answer ('' when there is none). Returns 1
--     when the answer is kept, else 0
--   forget: name. Returns how many keys were deleted
--   clear: nothing. Deletes all answers, and returns how many
-- An answer that is being fetched when it is forgotten or cleared is not kept.

local what, name, token = ARGV[1], ARGV[2], ARGV[3]
local names, generation = 'fd:nexudus:answers', 'fd:nexudus:generation'
local function answer_key(of) return 'fd:nexudus:answer:' .. of end
local function flight_key(of) return 'fd:nexudus:flight:' .. of end

if what == 'take' then
    local kept = redis.call('HMGET', answer_key(name), 'at', 'answer')
    if kept[2] and (tonumber(kept[1]) or 0) >= tonumber(ARGV[5]) then return {'kept', kept[2]} end
    if not redis.call('SET', flight_key(name), token, 'NX', 'PX', ARGV[4]) then return {'wait'} end
    return {'fetch', redis.call('GET', generation) or '0', tostring(now_ms)}
end

if what == 'put' then
    if redis.call('GET', flight_key(name)) ~= token then return 0 end
    redis.call('DEL', flight_key(name))
    if ARGV[7] == '' or (redis.call('GET', generation) or '0') ~= ARGV[4] then return 0 end
    -- The answer is as old as its question: the record may have changed while Nexudus answered.
    redis.call('HSET', answer_key(name), 'at', ARGV[5], 'answer', ARGV[7])
    redis.call('PEXPIRE', answer_key(name), ARGV[6])
    redis.call('ZREMRANGEBYSCORE', names, '-inf', now_ms)
    redis.call('ZADD', names, now_ms + ARGV[6], name)
    return 1
end

-- Deleting the flight as well keeps an answer out that is being fetched, because it may be older than the change that
-- made the caller forget.
if what == 'forget' then return redis.call('DEL', answer_key(name), flight_key(name)) end

local gone = 0
for _, kept in ipairs(redis.call('ZRANGE', names, 0, -1)) do gone = gone + redis.call('DEL', answer_key(kept)) end
redis.call('DEL', names)
if type(redis.pcall('INCR', generation)) == 'table' then redis.call('SET', generation, now_ms) end  -- it was no number
return gone
