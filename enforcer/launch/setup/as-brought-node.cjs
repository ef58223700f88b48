/**
 * Loaded into npm before it starts. npm leaves out optional packages (native bindings among them) whose `engines` do not admit the Node that runs
 * npm, and npm 9 says nothing about it. Here they will run under the Node that npm is about to bring: that is the version to hold against them.
 */
Object.defineProperty(process, 'version', { value: process.env.HONEYMESH_BROUGHT_NODE });
