-- What wrk sends: one request for each token of a file, in turn.
--   arguments: template, tokens, first line, number of lines, mode, threads
-- The template is a whole request in which @TOKEN@ stands for the token. Modes:
--   again   begin anew after the last line
--   once    never send a line twice: report it if there were too few
--   forged  like again, each time with another signature
-- Prints one line of JSON when done.

local pieces, mode, sent, salt = {}, "again", 0, 0
local threads = {}  -- only where setup() and done() run
repeated = 0        -- global, so that done() can read it

function setup(thread)
    table.insert(threads, thread)
    thread:set("number", #threads)
end

local function piece(before, line, after)
    if mode ~= "forged" then return before .. line .. after end
    local head, signature = line:match("^(.*%.)([^.]*)$")
    return {before .. head .. signature:sub(1, 20), signature:sub(31) .. after}
end

function init(arguments)
    local template = assert(io.open(arguments[1], "rb")):read("*a")
    local before, after = template:match("^(.-)@TOKEN@(.*)$")
    local first, count = tonumber(arguments[3]), tonumber(arguments[4])
    local step = tonumber(arguments[6])
    mode = arguments[5]
    -- Different in each second, so that no forged token is ever sent twice.
    salt = (os.time() % 1000) * 10000000
    local at = -first
    for line in io.lines(arguments[2]) do
        if at >= count then break end
        if at >= 0 and at % step == number - 1 then
            table.insert(pieces, piece(before, line, after))
        end
        at = at + 1
    end
end

function request()
    local chosen = pieces[sent % #pieces + 1]
    sent = sent + 1
    if mode == "forged" then
        return chosen[1] .. string.format("%010d", salt + sent) .. chosen[2]
    end
    if mode == "once" and sent > #pieces then repeated = repeated + 1 end
    return chosen
end

function done(summary, latency, requests)
    local repeats, errors = 0, summary.errors
    for _, thread in ipairs(threads) do repeats = repeats + thread:get("repeated") end
    io.write(string.format(
        '\n{"requests": %d, "microseconds": %d, "bytes": %d, "refused": %d, "broken": %d, '
        .. '"repeated": %d, "p50_us": %d, "p99_us": %d}\n',
        summary.requests, summary.duration, summary.bytes, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout, repeats,
        latency:percentile(50), latency:percentile(99)))
end
