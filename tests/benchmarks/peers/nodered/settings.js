// Node-RED without its editor; flows.json is all there is.
module.exports = {
  credentialSecret: false,
  flowFile: 'flows.json',
  functionExternalModules: true,
  httpAdminRoot: false,
  logging: { console: { level: 'warn' } },
  uiHost: '127.0.0.1'
}
