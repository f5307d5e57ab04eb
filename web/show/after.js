/** Has an action run after a method of a class of nodes, with the node and the method's arguments. */
export function after(nodeType, method, action) {
  const original = nodeType.prototype[method];
  nodeType.prototype[method] = function (...args) {
    const result = original?.apply(this, args);
    action(this, ...args);
    return result;
  };
}
