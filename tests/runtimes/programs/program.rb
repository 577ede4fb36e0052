# Ruby as programs use it: threads and queues, fibers, ractors, a child process, digests, big numbers, files, collection.
require 'digest'
require 'socket'
require 'tempfile'
require 'timeout'
require 'zlib'

queue = Queue.new
results = Queue.new
workers = Array.new(4) { Thread.new { while (number = queue.pop) do results << (1..number).reduce(:*).digits.sum end } }
[100, 200, 300, 400, 500].each { |number| queue << number }
queue.close
workers.each(&:join)
puts "threads #{Array.new(results.size) { results.pop }.sort.inspect}"

fiber = Fiber.new { 5.times { |number| Fiber.yield number * number } }
puts "fiber #{Array.new(5) { fiber.resume }.inspect}"

$VERBOSE = nil
ractors = [20, 21, 22].map { |number| Ractor.new(number) { |n| a, b = 0, 1; (2**n).times { a, b = b, (a + b) % 1_000_007 }; a } }
puts "ractors #{ractors.map { |ractor| ractor.respond_to?(:value) ? ractor.value : ractor.take }.inspect}"

reader, writer = IO.pipe
child = fork { reader.close; writer.write('from the child'); exit! 3 }
writer.close
text = reader.read
Process.wait(child)
puts "fork #{text.inspect} #{$?.exitstatus}"
puts "shell #{`echo $((6 * 7))`.inspect}"

text = 'some text, again and again. ' * 20_000
puts "digest #{Digest::SHA256.hexdigest(Zlib::Inflate.inflate(Zlib::Deflate.deflate(text)))[0, 16]}"
puts "big #{Digest::SHA256.hexdigest((7**20_000).to_s)[0, 16]}"

Tempfile.create('ruby-', '.') do |file|
  20_000.times { |number| file.puts(number) }
  file.flush
  puts "file #{File.foreach(file.path).sum(&:to_i)}"
end

server = TCPServer.new('127.0.0.1', 0)
echo = Thread.new { connection = server.accept; IO.copy_stream(connection, connection); connection.close }
client = TCPSocket.new('127.0.0.1', server.addr[1])
sender = Thread.new { client.write('x' * 500_000); client.close_write }
puts "socket #{client.read.length}"
[sender, echo].each(&:join)

begin
  Timeout.timeout(0.05) { sleep }
rescue Timeout::Error => error
  puts "timeout #{error.class}"
end
Signal.trap('USR1') { puts 'signal' }
Process.kill('USR1', Process.pid)
sleep 0.01
kept = Array.new(100_000) { |number| "object #{number}" }
GC.start
GC.compact if GC.respond_to?(:compact)
puts "heap #{kept.sum(&:length)}"
