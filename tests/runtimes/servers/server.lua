-- A server on LuaSocket: one connection after the other. See contract.py.
local socket = require 'socket'
local LARGE = ('0123456789abcdef'):rep(65536)
local counted = 0

local function file()
    local name = ('%s/request-%d'):format(os.getenv 'TMPDIR', math.random(1e9))
    local scratch = assert(io.open(name, 'w+'))
    scratch:write 'written by a request'
    scratch:seek 'set'
    local text = scratch:read '*a'
    scratch:close()
    os.remove(name)
    return text .. ', 0 before'
end

local function answer(request, body)
    if request == 'GET /count' then
        counted = counted + 1
        return 200, ('%d'):format(counted)
    elseif request == 'POST /echo' then
        return 200, body
    elseif request == 'GET /large' then
        return 200, LARGE
    elseif request == 'GET /file' then
        return 200, file()
    end
    return 404, 'nothing here'
end

local function serve(connection)
    while true do
        local line = connection:receive()
        if not line then return end
        local length, keeping = 0, 'keep-alive'
        for header in function() return connection:receive() end do
            if header == '' then break end
            length = tonumber(header:lower():match '^content%-length: (%d+)') or length
            keeping = header:lower():match '^connection: (%S+)' or keeping -- who wants it closed does that
        end
        local status, body = answer(line:match '^(%u+ %S+)', length > 0 and connection:receive(length) or '')
        local head = ('HTTP/1.1 %d Answer\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n'):format(status, #body, keeping)
        if not connection:send(head .. body) then return end
    end
end

local listener = assert(socket.bind('127.0.0.1', 0))
while true do
    local connection = assert(listener:accept())
    connection:setoption('tcp-nodelay', true)
    serve(connection)
    connection:close()
end
