-- The newest event of each entity.

-- The newest events of all entities are spread over 4096 hashes, each small enough (up to two million entities in all)
-- for the compact encoding of Redis, the listpack.
local function bucket_key(bucket) return 'fd:n:' .. bucket end
local function entity_key(entity) return bucket_key(tonumber(string.sub(redis.sha1hex(entity), 1, 3), 16)) end

-- 1 when a newer event of the same entity than *id* is kept, else 0.
local function superseded(id, entity)
    if not entity then return 0 end
    -- pcall: a key of the wrong type must not stop claim.lua, which has taken jobs out of their queue already.
    local newest = redis.pcall('HGET', entity_key(entity), entity)
    return type(newest) == 'string' and newest > id and 1 or 0
end
