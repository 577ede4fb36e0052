# What the Ruby servers answer; see contract.py.
require 'tempfile'

module Contract
  LARGE = '0123456789abcdef' * 65_536
  @counted = 0

  def self.file
    before = Dir.glob(File.join(Dir.tmpdir, 'request-*')).length
    Tempfile.create('request-') do |scratch|
      scratch.write('written by a request')
      scratch.rewind
      "#{scratch.read}, #{before} before"
    end
  end

  # The status and the body for a request.
  def self.answer(method, path, body)
    case [method, path]
    when %w[GET /count] then [200, (@counted += 1).to_s]
    when %w[POST /echo] then [200, body]
    when %w[GET /large] then [200, LARGE]
    when %w[GET /file] then [200, file]
    else [404, 'nothing here']
    end
  end
end
