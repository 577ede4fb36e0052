// The server of node.mjs in two processes: the first accepts, and hands connections to them in turn.
import cluster from 'node:cluster'

if (cluster.isPrimary) for (let index = 0; index < 2; index++) cluster.fork()
else await import('./node.mjs')
