-- Names of keys. `storage/redis/keys.py` explains each of them.

local function envelope_key(id) return 'fd:e:' .. id end
local function state_key(id) return 'fd:d:' .. id end
local function job_key(job) return 'rq:job:' .. job end
local function queue_key(queue) return 'rq:queue:' .. queue end
local function scheduled_key(queue) return 'rq:scheduled:' .. queue end
local function lane_key(lane) return 'fd:o:' .. lane end
local function waiting_key(gate) return 'fd:w:' .. gate end
local function portions_key(id) return 'fd:p:' .. id end
