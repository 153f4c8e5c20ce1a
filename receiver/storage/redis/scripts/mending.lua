-- Lets a script run to its end although a key has the wrong type or a counter is no number. When a script fails for
-- that, the client runs it again with this text in front of it: `redis.call` and `redis.pcall` are replaced by ones
-- that move the bad value away and repeat the command. So the first run, nearly always the only one, costs nothing.
--
-- A key is renamed to fd:aside:{key}, where it stays for 31 days, and noted in fd:losses: what it should have held is
-- gone. A key whose name may tell of a person (of a lane, for example) is noted by its digest. At most so many losses
-- are noted:
local MOST_NOTED = 100
local KEPT_MS = 31 * 86400000
local OF_LETTER = {H = 'hash', L = 'list', R = 'list', S = 'set', X = 'stream', Z = 'zset'}
local OF_STRINGS = {SET = true, SETEX = true, STRLEN = true}

local plain = redis
local redis = setmetatable({}, {__index = plain})

-- The name under which a key is noted as lost.
local function noted_name(key)
    if string.find(key, '^fd:[owg]:') or string.find(key, '[^%w:._/-]') or #key > 100 then
        return string.match(key, '^%w*:?%w*:?') .. plain.sha1hex(key)
    end
    return key
end

-- Renames a key of the type *is*, and notes the loss.
local function set_aside(key, is)
    local aside = 'fd:aside:' .. key
    plain.call('RENAME', key, aside)
    plain.call('PEXPIRE', aside, KEPT_MS)
    if redis.call('HLEN', 'fd:losses') >= MOST_NOTED then return end
    local time = plain.call('TIME')
    local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
    local loss = '{"seen_ms":' .. now .. ',"found_ms":' .. now .. ',"was":"' .. is .. '"}'
    redis.call('HSET', 'fd:losses', noted_name(key), loss)
end

-- Moves away what *command* cannot work on: the whole key when its type is wrong, else the one counter *field* of a
-- hash.
local function mend(command, key, field)
    command = string.upper(command)
    local wanted = not OF_STRINGS[command] and OF_LETTER[string.sub(command, 1, 1)] or 'string'
    local is = plain.call('TYPE', key).ok
    if is ~= wanted and is ~= 'none' then
        set_aside(key, is)
    elseif command == 'HINCRBY' then
        plain.call('HDEL', key, field)
    end
end

-- Whether a reply is an error that `mend` can do something about.
local function is_in_the_way(reply)
    local said = type(reply) == 'table' and reply.err or ''
    return string.find(said, 'WRONGTYPE', 1, true) or string.find(said, 'hash value is not an integer', 1, true)
        or string.find(said, 'would overflow', 1, true)
end

function redis.pcall(command, ...)
    local reply = plain.pcall(command, ...)
    if not is_in_the_way(reply) then return reply end
    mend(command, ...)
    return plain.pcall(command, ...)
end

function redis.call(command, ...)
    local reply = redis.pcall(command, ...)
    if type(reply) == 'table' and reply.err then return plain.call(command, ...) end  -- it raises what went wrong
    return reply
end
