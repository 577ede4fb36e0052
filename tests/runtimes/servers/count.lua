-- For wrk: each answer must tell the next count of its connection. "close" as argument: a connection for each request,
-- so that each count is the first. One connection a thread.
local threads = {}

function setup(thread)
    threads[#threads + 1] = thread
end

function init(arguments)
    closes = arguments[1] == 'close'
    expected, answered, wrong, example = 1, 0, 0, ''
    wrk.headers['Connection'] = closes and 'close' or 'keep-alive'
end

-- The count alone, or nginx's page of counts, where it is the last of three: accepted, handled, requests.
local function count(body)
    return tonumber(body) or tonumber(body:match 'requests%s+%d+ %d+ (%d+)')
end

function response(status, _, body)
    answered = answered + 1
    if status ~= 200 or count(body) ~= expected then
        wrong = wrong + 1
        example = ('%d instead of %d: %s'):format(status, expected, body)
    end
    if not closes then
        expected = expected + 1
    end
end

function done(summary)
    local errors = summary.errors
    local lost = errors.connect + errors.write + errors.timeout
    local answers, wrong, example = 0, 0, ''
    for _, thread in ipairs(threads) do
        answers = answers + thread:get 'answered'
        wrong = wrong + thread:get 'wrong'
        example = thread:get 'example'
    end
    print(('answers=%d lost=%d ended=%d wrong=%d %s'):format(answers, lost, errors.read, wrong, example))
end
