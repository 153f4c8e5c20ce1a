-- Times as RQ writes them.

-- A Unix second as RFC 3339, by the days of the civil calendar (https://howardhinnant.github.io/date_algorithms.html).
local function rq_time(seconds)
    local days, rest = math.floor(seconds / 86400), seconds % 86400
    local z = days + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
    local mp = math.floor((5 * doy + 2) / 153)
    local day, month = doy - math.floor((153 * mp + 2) / 5) + 1, mp < 10 and mp + 3 or mp - 9
    local year = yoe + era * 400 + (month <= 2 and 1 or 0)
    return string.format('%04d-%02d-%02dT%02d:%02d:%02d.000000Z', year, month, day, math.floor(rest / 3600),
        math.floor(rest / 60) % 60, rest % 60)
end
