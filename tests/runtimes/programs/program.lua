-- Lua and LuaJIT as programs use them: loops that get compiled, coroutines, strings, tables, files, a shell.
local function primes(to)
    local found = 0
    for number = 2, to - 1 do
        local prime, divisor = true, 2
        while divisor * divisor <= number and prime do
            prime = number % divisor ~= 0
            divisor = divisor + 1
        end
        if prime then found = found + 1 end
    end
    return found
end
print('primes', primes(60000))

local generator = coroutine.wrap(function()
    local a, b = 0, 1
    while true do
        coroutine.yield(a)
        a, b = b, (a + b) % 1000007
    end
end)
local last
for _ = 1, 50000 do last = generator() end
print('coroutine', last)

local words = {}
for number = 1, 50000 do words[number] = ('word %d'):format(number * 7919 % 50021) end
table.sort(words)
print('sorted', words[1], words[25000], #table.concat(words, ','))
print('matched', select(2, ('some text, again. '):rep(10000):gsub('%a+', string.upper)))

local name = os.tmpname()
local file = assert(io.open(name, 'w+'))
for number = 1, 20000 do file:write(number, '\n') end
file:seek 'set'
local sum = 0
for line in file:lines() do sum = sum + tonumber(line) end
file:close()
os.remove(name)
print('file', sum)

local shell = assert(io.popen 'echo $((6 * 7))')
print('shell', shell:read '*l')
shell:close()

if jit then
    local ffi = require 'ffi'
    ffi.cdef 'int getpid(void); typedef struct { double x, y; } point;'
    local points = ffi.new('point[?]', 10000)
    for index = 0, 9999 do points[index].x, points[index].y = index, index / 2 end
    local total = 0
    for index = 0, 9999 do total = total + points[index].x * points[index].y end
    print('ffi', total, ffi.C.getpid() > 0, jit.status())
end
collectgarbage()
print('heap', collectgarbage 'count' < 100000)
