-- Arguments that several scripts have: the limits of routes, and sets of names.

-- Reads rules from ARGV: their number, then for each its route, limit (starts in a period), period in ms, concurrency,
-- ms for which its deliveries wait for a target; 0 where the route says nothing. Returns the rules by route (nil when
-- there are none) and the position behind them.
local function read_rules(at)
    local number = tonumber(ARGV[at])
    if number == 0 then return nil, at + 1 end
    local rules = {}
    for i = at + 1, at + number * 5, 5 do
        local function value(offset)
            local said = tonumber(ARGV[i + offset])
            return said > 0 and said or nil
        end
        rules[ARGV[i]] = {limit = value(1), period = value(2), concurrency = value(3), give_up = value(4)}
    end
    return rules, at + 1 + number * 5
end

-- Reads a set of names from ARGV: their number, then the names. Returns nil for none, and the position behind them.
local function read_names(at)
    local number = tonumber(ARGV[at])
    if number == 0 then return nil, at + 1 end
    local names = {}
    for i = at + 1, at + number do names[ARGV[i]] = true end
    return names, at + 1 + number
end
