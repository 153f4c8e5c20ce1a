-- A delivery that is to be made.

-- Reads a delivery that is to be made; nil when its arguments are malformed. *terms* say what it is to wait for, as the
-- receiver wrote it: lane, key of its limits, delay in ms, 'd' when it is debounced; '' for nothing.
local function new_delivery(route, queue, timeout_s, terms)
    if not tonumber(timeout_s) then return nil end
    local delivery = {route = route, queue = queue, timeout_s = timeout_s}
    if terms == '' then return delivery end
    local lane, per, delay, debounced = string.match(terms or '', '^([%w_-]*)|([%w_-]*)|(%d+)|(d?)$')
    if not delay then return nil end
    delivery.waits, delivery.lane, delivery.per = true, lane ~= '' and route .. ':' .. lane, per
    delivery.delay, delivery.is_debounced = tonumber(delay), debounced == 'd'
    return delivery
end
