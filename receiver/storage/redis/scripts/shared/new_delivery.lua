-- How the arguments that describe a new delivery are read.

-- Returns a delivery as a table; nil when its arguments are malformed. *terms* say what it waits for, one of
--   ''                                            nothing
--   'lane|per|delay|d'                            lane and key of its limits ('' for none), delay in ms, 'd' when debounced
--   '|@|lane|per|due|updated|ending|why'          of a route with `at`: Unix ms at which it starts, Unix second in which its
--                                                 record was changed, '' or why it starts nothing but only ends others (`c`
--                                                 cancelled_by, `w` filter, `n` no time), its action or why it has no time
local function new_delivery(route, queue, timeout_s, terms)
    if not tonumber(timeout_s) then return nil end
    local delivery = {route = route, queue = queue, timeout_s = timeout_s}
    if terms == '' then return delivery end
    if string.sub(terms or '', 1, 3) == '|@|' then
        local lane, per, due, updated, ending, why = string.match(terms,
            '^|@|([%w_-]*)|([%w_-]*)|(%d+)|(%d+)|([cwn]?)|(.*)$')
        if not due then return nil end
        delivery.waits, delivery.is_timed, delivery.lane, delivery.per = true, true, lane ~= '' and route .. ':' .. lane, per
        delivery.due, delivery.updated, delivery.ending, delivery.why = tonumber(due), tonumber(updated), ending, why
        return delivery
    end
    local lane, per, delay, debounced = string.match(terms or '', '^([%w_-]*)|([%w_-]*)|(%d+)|(d?)$')
    if not delay then return nil end
    delivery.waits, delivery.lane, delivery.per = true, lane ~= '' and route .. ':' .. lane, per
    delivery.delay, delivery.is_debounced = tonumber(delay), debounced == 'd'
    return delivery
end
