-- What the ids of events (20 characters), deliveries (`event-n`) and jobs (`event-n-serial`) hold.

local HOUR_MS = 3600000

-- The time in an id, in Unix milliseconds. Nine base 36 digits are far below 2^53.
local function id_ms(id) return tonumber(string.sub(id, 1, 9), 36) end

local function id_hour(id) return math.floor(id_ms(id) / HOUR_MS) end

-- event id, delivery number, serial of a job id of ours; nil for a job of anybody else. The number of a delivery stays
-- a text: it is in the names of fields, and Lua takes a microsecond to write a number.
local function parse_job(job)
    if #job == 24 and string.sub(job, 21) == '-1-1' then return string.sub(job, 1, 20), '1', 1 end  -- nearly all of them
    local id, n, serial = string.match(job, '^(%w+)%-(%d+)%-(%d+)$')
    if id and #id == 20 then return id, n, tonumber(serial) end
end

-- event id and delivery number of a delivery's id, as lanes and gates hold it.
local function parse_delivery(delivery)
    local id, n = string.match(delivery, '^(%w+)%-(%d+)$')
    if id and #id == 20 then return id, n end
end
