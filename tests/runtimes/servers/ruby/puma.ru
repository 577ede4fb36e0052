# A Rack application for Puma: a reactor and a pool of Ruby threads.
require_relative 'contract'

run(lambda do |environment|
  body = environment['rack.input'].read
  status, body = Contract.answer(environment['REQUEST_METHOD'], environment['PATH_INFO'], body)
  [status, { 'content-type' => 'text/plain', 'content-length' => body.bytesize.to_s }, [body]]
end)
