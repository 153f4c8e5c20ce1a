-- The newest event of each entity.

-- The newest events of all entities are spread over 4096 small hashes, which stay listpacks up to two million entities.
local function bucket_key(bucket) return 'fd:n:' .. bucket end
local function entity_key(entity) return bucket_key(tonumber(string.sub(redis.sha1hex(entity), 1, 3), 16)) end

local function superseded(id, entity)
    if not entity then return 0 end
    -- A key of a wrong type tells nothing, and whoever claims has taken jobs out of their queue already.
    local newest = redis.pcall('HGET', entity_key(entity), entity)
    return type(newest) == 'string' and newest > id and 1 or 0
end
