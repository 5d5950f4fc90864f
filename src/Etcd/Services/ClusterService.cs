using MetaStore.Engine;
using MetaStore.Engine.Hosting;
using MetaStore.Etcd.Rpc;

namespace MetaStore.Etcd.Services;

/// <summary>etcdserverpb.Cluster.</summary>
internal sealed class ClusterService(MetaStoreNode node, EtcdServicesOptions options)
{
    public async ValueTask<Messages.MemberAddResponse> AddAsync(Messages.MemberAddRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        MembersResponse response = await ChangeAsync(new AddMember(UrlsOf(request.PeerURLs), request.IsLearner), context).ConfigureAwait(false);
        var answer = new Messages.MemberAddResponse
        {
            Header = AnswerForms.ToMemberHeader(response.Header),
            Member = response.Members.Where(member => member.Id == response.MemberId).Select(ToMessage).FirstOrDefault(),
        };
        answer.Members.Add(response.Members.Select(ToMessage));
        return answer;
    }

    public async ValueTask<Messages.MemberRemoveResponse> RemoveAsync(Messages.MemberRemoveRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        MembersResponse response = await ChangeAsync(new RemoveMember(request.ID), context).ConfigureAwait(false);
        var answer = new Messages.MemberRemoveResponse { Header = AnswerForms.ToMemberHeader(response.Header) };
        answer.Members.Add(response.Members.Select(ToMessage));
        return answer;
    }

    public async ValueTask<Messages.MemberUpdateResponse> UpdateAsync(Messages.MemberUpdateRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        MembersResponse response = await ChangeAsync(new UpdateMember(request.ID, UrlsOf(request.PeerURLs)), context).ConfigureAwait(false);
        var answer = new Messages.MemberUpdateResponse { Header = AnswerForms.ToMemberHeader(response.Header) };
        answer.Members.Add(response.Members.Select(ToMessage));
        return answer;
    }

    public async ValueTask<Messages.MemberPromoteResponse> PromoteAsync(Messages.MemberPromoteRequest request, RpcContext context)
    {
        await options.Authority.CheckOperatorAsync(context).ConfigureAwait(false);
        MembersResponse response = await ChangeAsync(new PromoteMember(request.ID), context).ConfigureAwait(false);
        var answer = new Messages.MemberPromoteResponse { Header = AnswerForms.ToMemberHeader(response.Header) };
        answer.Members.Add(response.Members.Select(ToMessage));
        return answer;
    }

    public async ValueTask<Messages.MemberListResponse> ListAsync(Messages.MemberListRequest request, RpcContext context)
    {
        MembersResponse response = await node.MembersAsync(request.Linearizable, context.Ended).ConfigureAwait(false);
        var answer = new Messages.MemberListResponse { Header = AnswerForms.ToMemberHeader(response.Header) };
        answer.Members.Add(response.Members.Select(ToMessage));
        return answer;
    }

    /// <summary>
    /// A member that gets its vote by itself as soon as it has caught up is no learner to a client of etcd, which would promote it, or wait for somebody to.
    /// </summary>
    private static Messages.Member ToMessage(Member member)
    {
        var message = new Messages.Member { ID = member.Id, Name = member.Name, IsLearner = member is { IsLearner: true, PromoteWhenReady: false } };
        message.PeerURLs.Add(member.PeerUrls);
        message.ClientURLs.Add(member.ClientUrls);
        return message;
    }

    private ValueTask<MembersResponse> ChangeAsync(MemberChange change, RpcContext context) => node.ChangeMembersAsync(change, context.Ended);

    /// <summary>etcd's rules: http or https, a host, a port, and nothing behind it.</summary>
    private static string[] UrlsOf(IReadOnlyCollection<string> urls)
    {
        bool areSound = urls.Count > 0 && urls.Distinct(StringComparer.Ordinal).Count() == urls.Count && urls.All(IsUrl);
        return areSound ? [.. urls] : throw EtcdErrors.MemberUrlsInvalid;
    }

    private static bool IsUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? url)
        && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps)
        && url.Host.Length > 0
        && url.UserInfo.Length == 0
        && text[(url.Scheme.Length + "://".Length)..].EndsWith($":{url.Port}", StringComparison.Ordinal);
}
