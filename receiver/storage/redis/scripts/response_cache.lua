-- include: time
-- Answers of Nexudus, kept for a short while for whoever asks the same, and fetched by one of them while the others wait.
--
-- ARGV: what to do, and then
--   take: name, token, ms that fetching may take, Unix ms since when the answer must have been fetched (0: any)
--     returns {'kept', answer}, {'fetch', generation, now} when this caller is to fetch it, or {'wait'} while another does
--   put: name, token, generation and now of the take, ms to keep the answer, answer (empty: there is none)
--   forget: name
--   clear: takes all answers away; one that is being fetched meanwhile is not kept when it comes. Returns how many

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
    -- As old as the question: the record may have changed since.
    redis.call('HSET', answer_key(name), 'at', ARGV[5], 'answer', ARGV[7])
    redis.call('PEXPIRE', answer_key(name), ARGV[6])
    redis.call('ZREMRANGEBYSCORE', names, '-inf', now_ms)
    redis.call('ZADD', names, now_ms + ARGV[6], name)
    return 1
end

-- What is being fetched may be older than what made us forget: it is not kept, either.
if what == 'forget' then return redis.call('DEL', answer_key(name), flight_key(name)) end

local gone = 0
for _, kept in ipairs(redis.call('ZRANGE', names, 0, -1)) do gone = gone + redis.call('DEL', answer_key(kept)) end
redis.call('DEL', names)
if type(redis.pcall('INCR', generation)) == 'table' then redis.call('SET', generation, now_ms) end  -- it was no number
return gone
