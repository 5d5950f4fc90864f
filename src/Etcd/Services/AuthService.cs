using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>etcdserverpb.Auth, as it answers while authentication is off and there are no users and roles. None can be made.</summary>
internal sealed class AuthService(MetaStoreNode node)
{
    /// <summary>The revision of a store of users that never changed.</summary>
    private const ulong FirstAuthRevision = 1;

    private Messages.ResponseHeader Header => AnswerForms.ToMessage(node.Header);

    /// <summary>All methods, as the gate has them.</summary>
    public IEnumerable<RpcMethod> Methods(CallGate gate)
    {
        const string service = "/etcdserverpb.Auth/";
        return
        [
            gate.Unary(service + "AuthEnable", Messages.AuthEnableRequest.Parser, Fails<Messages.AuthEnableRequest, Messages.AuthEnableResponse>(_ => EtcdErrors.RootUserNotExist)),
            gate.Unary(service + "AuthDisable", Messages.AuthDisableRequest.Parser, Answers<Messages.AuthDisableRequest, Messages.AuthDisableResponse>(() => new() { Header = Header })),
            gate.Unary(
                service + "AuthStatus",
                Messages.AuthStatusRequest.Parser,
                Answers<Messages.AuthStatusRequest, Messages.AuthStatusResponse>(() => new() { Header = Header, AuthRevision = FirstAuthRevision })),
            gate.Unary(service + "Authenticate", Messages.AuthenticateRequest.Parser, Fails<Messages.AuthenticateRequest, Messages.AuthenticateResponse>(_ => EtcdErrors.AuthNotEnabled)),
            gate.Unary(
                service + "UserAdd",
                Messages.AuthUserAddRequest.Parser,
                Fails<Messages.AuthUserAddRequest, Messages.AuthUserAddResponse>(request => request.Name.Length == 0 ? EtcdErrors.UserEmpty : EtcdErrors.NotCapable)),
            gate.Unary(service + "UserGet", Messages.AuthUserGetRequest.Parser, Fails<Messages.AuthUserGetRequest, Messages.AuthUserGetResponse>(_ => EtcdErrors.UserNotFound)),
            gate.Unary(service + "UserList", Messages.AuthUserListRequest.Parser, Answers<Messages.AuthUserListRequest, Messages.AuthUserListResponse>(() => new() { Header = Header })),
            gate.Unary(service + "UserDelete", Messages.AuthUserDeleteRequest.Parser, Fails<Messages.AuthUserDeleteRequest, Messages.AuthUserDeleteResponse>(_ => EtcdErrors.UserNotFound)),
            gate.Unary(
                service + "UserChangePassword",
                Messages.AuthUserChangePasswordRequest.Parser,
                Fails<Messages.AuthUserChangePasswordRequest, Messages.AuthUserChangePasswordResponse>(_ => EtcdErrors.UserNotFound)),
            gate.Unary(
                service + "UserGrantRole", Messages.AuthUserGrantRoleRequest.Parser, Fails<Messages.AuthUserGrantRoleRequest, Messages.AuthUserGrantRoleResponse>(_ => EtcdErrors.UserNotFound)),
            gate.Unary(
                service + "UserRevokeRole", Messages.AuthUserRevokeRoleRequest.Parser, Fails<Messages.AuthUserRevokeRoleRequest, Messages.AuthUserRevokeRoleResponse>(_ => EtcdErrors.UserNotFound)),
            .. RoleMethods(gate, service),
        ];
    }

    private IEnumerable<RpcMethod> RoleMethods(CallGate gate, string service) =>
    [
        gate.Unary(
            service + "RoleAdd",
            Messages.AuthRoleAddRequest.Parser,
            Fails<Messages.AuthRoleAddRequest, Messages.AuthRoleAddResponse>(request => request.Name.Length == 0 ? EtcdErrors.RoleEmpty : EtcdErrors.NotCapable)),
        gate.Unary(service + "RoleGet", Messages.AuthRoleGetRequest.Parser, Fails<Messages.AuthRoleGetRequest, Messages.AuthRoleGetResponse>(_ => EtcdErrors.RoleNotFound)),
        gate.Unary(service + "RoleList", Messages.AuthRoleListRequest.Parser, Answers<Messages.AuthRoleListRequest, Messages.AuthRoleListResponse>(() => new() { Header = Header })),
        gate.Unary(service + "RoleDelete", Messages.AuthRoleDeleteRequest.Parser, Fails<Messages.AuthRoleDeleteRequest, Messages.AuthRoleDeleteResponse>(_ => EtcdErrors.RoleNotFound)),
        gate.Unary(
            service + "RoleGrantPermission",
            Messages.AuthRoleGrantPermissionRequest.Parser,
            Fails<Messages.AuthRoleGrantPermissionRequest, Messages.AuthRoleGrantPermissionResponse>(_ => EtcdErrors.RoleNotFound)),
        gate.Unary(
            service + "RoleRevokePermission",
            Messages.AuthRoleRevokePermissionRequest.Parser,
            Fails<Messages.AuthRoleRevokePermissionRequest, Messages.AuthRoleRevokePermissionResponse>(_ => EtcdErrors.RoleNotFound)),
    ];

    private static Func<TRequest, RpcContext, ValueTask<TResponse>> Fails<TRequest, TResponse>(Func<TRequest, RpcException> error) =>
        (request, _) => ValueTask.FromException<TResponse>(error(request));

    private static Func<TRequest, RpcContext, ValueTask<TResponse>> Answers<TRequest, TResponse>(Func<TResponse> answer) =>
        (_, _) => ValueTask.FromResult(answer());
}
