# A server on WEBrick: a Ruby thread for each connection.
require 'webrick'
require_relative 'contract'

quiet = { AccessLog: [], Logger: WEBrick::Log.new(File::NULL) }
server = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: 0, **quiet)
server.mount_proc('/') do |request, response|
  response.status, response.body = Contract.answer(request.request_method, request.path, request.body)
end
server.start
